import { UserError } from '../base/user-error.ts';
import type { Config } from './config.ts';
import type { CommandHandler } from './control-server.ts';

export interface BootstrapRunner {
  /** `HOST:PORT:KEY`. */
  readonly line: string;
  readonly run: CommandHandler;
  close(): Promise<void>;
}

/** A node that helps others to find each other and has no mail: `toxmail bootstrap`. */
export async function startBootstrapNode(_dataDir: string, _config: Config): Promise<BootstrapRunner> {
  throw new UserError('not built yet');
}
