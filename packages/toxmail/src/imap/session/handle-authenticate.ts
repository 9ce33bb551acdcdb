import { errorField } from '../../base/log.ts';
import { respText } from '../syntax/encoder.ts';
import { ENDED, type Input } from '../syntax/input.ts';
import { capabilities } from './capabilities.ts';
import type { Context } from './context.ts';
import { bad, ConnectionLost, no } from './errors.ts';

/** Octets of a line of the exchange: names and passwords in base64. */
const LINE_MAX = 4 * 1024;

/** RFC 9051 §6.2.2 with the mechanisms PLAIN (RFC 4616) and LOGIN (by custom), RFC 4959 (SASL-IR). */
export async function handleAuthenticate(
  context: Context,
  input: Input,
  { mechanism, initial }: { mechanism: string; initial: string | undefined },
): Promise<string> {
  requirePrivacy(context);
  if (mechanism === 'PLAIN') {
    const response = await answer(context, input, '', initial);
    const [authorization, user, password, ...more] = response.split('\0');
    if (!user || password === undefined || more.length > 0) throw bad('This is not a response of PLAIN');
    if (authorization && authorization !== user) throw no('You can log in as yourself only', 'AUTHENTICATIONFAILED');
    return logIn(context, user, password);
  }
  if (mechanism === 'LOGIN') {
    const user = await answer(context, input, 'Username:', initial);
    return logIn(context, user, await answer(context, input, 'Password:', undefined));
  }
  throw no('Only PLAIN and LOGIN are known', 'CANNOT');
}

/** RFC 9051 §6.2.3 */
export async function handleLogin(context: Context, user: string, password: string): Promise<string> {
  requirePrivacy(context);
  return logIn(context, user, password);
}

/** RFC 9051 §6.2.1. What was sent ahead in clear could be anybody's: it ends the connection. */
export async function handleStartTls({ wire }: Context, input: Input, tag: string): Promise<void> {
  if (!wire.startTls) throw bad('TLS is not to be had here');
  if (wire.secure) throw bad('TLS is on already');
  if (input.size > 0) throw new ConnectionLost('bytes after STARTTLS');
  await wire.startTls(Buffer.from(`${tag} OK Begin TLS\r\n`));
}

function requirePrivacy(context: Context): void {
  if (!context.private) throw no('Log in under TLS only', 'PRIVACYREQUIRED');
}

/** One base64 answer of the client, to `challenge`; UTF-8. */
async function answer(context: Context, input: Input, challenge: string, initial: string | undefined): Promise<string> {
  let text = initial;
  if (text === undefined) {
    context.out.line(`+ ${Buffer.from(challenge).toString('base64')}`);
    await context.flush();
    const line = await input.line(LINE_MAX);
    if (line === ENDED || line === undefined) throw new ConnectionLost('no answer');
    text = line.toString('latin1');
  }
  if (text === '*') throw bad('Cancelled');
  if (text === '=') return '';
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw bad('This is not base64');
  return Buffer.from(text, 'base64').toString('utf8');
}

async function logIn(context: Context, user: string, password: string): Promise<string> {
  const { deps, remote } = context;
  if (deps.throttled?.(remote, user)) throw no('Too many failed log-ins; try again later', 'UNAVAILABLE');
  let login: Context['login'];
  try {
    login = await deps.authenticate(user, password);
  } catch (error) {
    deps.log.error('imap.login-failed', { error: errorField(error) });
    throw no('Something went wrong here; try again later', 'UNAVAILABLE');
  }
  deps.onLogin?.(remote, login !== undefined, user);
  if (!login) throw no('User name or password is wrong', 'AUTHENTICATIONFAILED');
  context.login = login;
  return `[CAPABILITY ${capabilities(context)}] ${respText(`Logged in as ${login.account}`)}`;
}
