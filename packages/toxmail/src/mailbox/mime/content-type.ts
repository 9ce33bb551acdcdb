/** The value of Content-Type or Content-Disposition (RFC 2045 §5.1, RFC 2183). Values are latin-1 of the mail's bytes. */
export interface Parameterized {
  /** `text/plain`, `attachment`; as written, without blanks and comments. */
  readonly value: string;
  /** In order, names as written. BOUNDED: PARAMETERS_MAX. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

const PARAMETERS_MAX = 64;

export function parseParameterized(raw: string): Parameterized {
  const text = raw.replace(/\r?\n/g, '');
  const parts = split(text);
  const value = parts[0]?.replace(/\s+/g, '') ?? '';
  const parameters: [string, string][] = [];
  for (const part of parts.slice(1, PARAMETERS_MAX + 1)) {
    const equals = part.indexOf('=');
    const name = part.slice(0, Math.max(0, equals)).trim();
    if (name !== '' && !/\s/.test(name)) parameters.push([name, unquoted(part.slice(equals + 1).trim())]);
  }
  return { value, parameters };
}

export function parameter({ parameters }: Parameterized, name: string): string | undefined {
  return parameters.find(([key]) => key.toLowerCase() === name)?.[1];
}

/** At semicolons outside of quotes; comments (RFC 5322 §3.2.2) go. */
function split(text: string): string[] {
  const parts = [''];
  for (let i = 0; i < text.length; i++) {
    const sign = text[i]!;
    if (sign === '"') {
      const from = i;
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
      parts[parts.length - 1] += text.slice(from, i + 1);
    } else if (sign === '(') {
      let depth = 0;
      for (; i < text.length; i++) {
        if (text[i] === '\\') i++;
        else if (text[i] === '(') depth++;
        else if (text[i] === ')' && --depth === 0) break;
      }
    } else if (sign === ';') parts.push('');
    else parts[parts.length - 1] += sign;
  }
  return parts;
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  const inner = value.slice(1, value.endsWith('"') && value.length > 1 ? -1 : undefined);
  return inner.replace(/\\(.)/g, '$1');
}
