import type { DeliveryJob, DeliveryOutcome, DeliveryTarget } from '../delivery/target.ts';

/** A delivery target that holds every job until the test says how it ends, unless `answer` does at once. */
export class ScriptedTarget implements DeliveryTarget {
  /** In the order they came, also those that are over. */
  readonly jobs: (DeliveryJob & { end(outcome: DeliveryOutcome): void; progress(sent: number): void })[] = [];
  answer: ((job: DeliveryJob) => DeliveryOutcome | undefined) | undefined;

  deliver(job: DeliveryJob, progress: (sent: number) => void, signal: AbortSignal): Promise<DeliveryOutcome> {
    const answer = this.answer?.(job);
    return new Promise((resolve) => {
      this.jobs.push({ ...job, end: resolve, progress });
      signal.addEventListener('abort', () => resolve({ kind: 'offline' }));
      if (answer) resolve(answer);
    });
  }

  get ids(): string[] {
    return this.jobs.map((job) => job.id);
  }
}
