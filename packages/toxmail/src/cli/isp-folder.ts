import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';

/** Where Thunderbird itself is installed: it reads `isp/DOMAIN.xml` there when an account is added, and nowhere else. */
const INSTALLED: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['/usr/lib/thunderbird', '/usr/lib64/thunderbird', '/usr/local/lib/thunderbird', '/opt/thunderbird'],
  darwin: ['/Applications/Thunderbird.app/Contents/Resources'],
  win32: ['C:\\Program Files\\Mozilla Thunderbird', 'C:\\Program Files (x86)\\Mozilla Thunderbird'],
};

/** Writes the files (name and content); returns their paths. Throws UserError if Thunderbird is not found or not ours. */
export function installIspFiles(
  files: Readonly<Record<string, string>>,
  candidates: readonly string[] = INSTALLED[process.platform] ?? [],
): string[] {
  const found = candidates.filter((folder) => existsSync(folder));
  if (found.length === 0)
    throw new UserError(
      `Thunderbird was not found in ${candidates.join(', ')}. Its snap and flatpak cannot be changed; set it up by hand.`,
    );
  try {
    return found.flatMap((folder) => {
      mkdirSync(join(folder, 'isp'), { recursive: true });
      return Object.entries(files).map(([name, content]) => {
        const path = join(folder, 'isp', name);
        writeFileSync(path, content, { mode: 0o644 });
        return path;
      });
    });
  } catch (error) {
    throw new UserError(
      `Cannot write into ${found.join(', ')} (${errorCode(error)}). Run the same command with administrator rights ` +
        '(sudo; name the data folder with --data).',
    );
  }
}
