import { decodeHTML } from 'entities';

/** What is never shown. */
const HIDDEN = new Set(['script', 'style', 'head', 'title']);
/** Tags that do not part words. */
const INLINE = new Set(
  'a abbr b bdi bdo big code em font i ins mark q s small span strong sub sup tt u wbr'.split(' '),
);
const NAME = /\/?([a-z][a-z0-9]*)/y;

/** The text of a page, for search. One pass: its time grows with the length alone, whatever the page is. */
export function htmlText(html: string): string {
  const lower = html.toLowerCase();
  const texts: string[] = [];
  let from = 0;
  for (;;) {
    const tag = html.indexOf('<', from);
    texts.push(html.slice(from, tag < 0 ? undefined : tag));
    if (tag < 0) break;
    NAME.lastIndex = tag + 1;
    const name = NAME.exec(lower)?.[1] ?? '';
    let end: number;
    if (html.startsWith('<!--', tag)) end = after(html, '-->', tag + 4);
    else if (HIDDEN.has(name) && html[tag + 1] !== '/') {
      const close = lower.indexOf(`</${name}`, tag);
      end = close < 0 ? -1 : after(html, '>', close);
    } else end = after(html, '>', tag);
    if (end < 0) break;
    if (!INLINE.has(name)) texts.push(' ');
    from = end;
  }
  return decodeHTML(texts.join(''));
}

function after(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? -1 : at + what.length;
}
