import { chromium, type Browser } from 'playwright-core';
import type { Test } from 'tap';
import { isExecutable, onPath } from '../../mesh/servers/search-path.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The Chromium that is installed, since its libraries can't be fetched without installing them. */
export async function startBrowser(t: Test): Promise<Browser> {
  const executablePath =
    process.env['CHROMIUM_BIN'] ??
    NAMES.flatMap((name) => onPath(name, process.env['PATH'] ?? '')).find(isExecutable);
  if (executablePath === undefined) {
    throw new Error(
      `none of ${NAMES.join(', ')} is on the PATH: install Debian's package (apt-get install chromium), ` +
        'or name a browser by CHROMIUM_BIN',
    );
  }
  // The browser's sandbox wants user namespaces, which root and many containers do not have; it
  // opens nothing here but our own page.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  return browser;
}
