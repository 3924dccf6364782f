// Unpacks Chromium, the libraries it needs and its fonts into node_modules/.chromium.
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = join(dirname(fileURLToPath(import.meta.url)), 'node_modules');
const home = join(modules, '.chromium');

if (!existsSync(home)) {
  // The package unpacks to the temporary directory, wherever that is when it is asked.
  process.env.TMPDIR = mkdtempSync(join(modules, '.unfinished-'));
  const { inflate } = await import('@sparticuz/chromium');
  const packed = join(modules, '@sparticuz', 'chromium', 'bin');
  await Promise.all(readdirSync(packed).map((name) => inflate(join(packed, name))));
  writeFileSync(
    join(process.env.TMPDIR, 'fonts', 'fonts.conf'),
    `<?xml version="1.0"?><fontconfig><dir>${home}/fonts</dir>` +
      `<cachedir>${home}/fonts-cache</cachedir></fontconfig>`,
  );
  try {
    renameSync(process.env.TMPDIR, home);
  } catch {
    rmSync(process.env.TMPDIR, { recursive: true }); // Another process was faster.
  }
}
process.stdout.write(home);
