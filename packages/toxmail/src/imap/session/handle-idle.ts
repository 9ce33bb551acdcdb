import { ENDED, type Input } from '../syntax/input.ts';
import type { Context } from './context.ts';
import { bad, ConnectionLost } from './errors.ts';
import { writeUpdates } from './updates.ts';

/** Octets of "DONE", and some. */
const DONE_MAX = 1_000;

/** RFC 9051 §6.3.13: tells of changes as they come, until the client says DONE. `closing` ends it from our side. */
export async function handleIdle(context: Context, input: Input): Promise<string> {
  const { view } = context;
  let telling: Promise<void> | undefined;
  let failure: unknown;
  let idling = true;
  const tell = async (): Promise<void> => {
    // A client that reads slowly is told later, of all at once: nothing is queued for it.
    do {
      await writeUpdates(context, true, true);
      await context.flush();
    } while (view?.stale && !view.gone);
  };
  const wake = (): void => {
    if (view?.gone) input.end();
    telling ??= tell()
      .catch((error: unknown) => {
        failure = error;
        input.end();
      })
      .finally(() => {
        telling = undefined;
        // What came between its last look and now.
        if (idling && failure === undefined && view?.stale && !view.gone) wake();
      });
  };
  context.out.line('+ idling');
  if (view?.toldInPassing) {
    view.toldInPassing = false;
    context.out.line(`* ${view.count} EXISTS`); // once more: Thunderbird 153 overlooks it in answers to FETCH and STORE
  }
  await context.flush();
  if (view) view.onChange = wake;
  try {
    wake();
    const line = await input.line(DONE_MAX);
    idling = false;
    if (view) view.onChange = () => {};
    await telling;
    if (failure !== undefined) throw failure;
    if (line === ENDED || line === undefined) throw new ConnectionLost('no DONE');
    if (line.toString('latin1').trim().toUpperCase() !== 'DONE') throw bad('DONE expected');
    return 'Done';
  } finally {
    if (view) view.onChange = () => {};
  }
}
