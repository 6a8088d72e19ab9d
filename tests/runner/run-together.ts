import { pathToFileURL } from 'node:url';

// Files that share a process, each with tests of its own under tap's one root. When it is loaded, it
// names its folder of fixtures by the arguments, which are too many for that.
const files = process.argv.splice(2);
const { default: t } = await import('tap');
for (const file of files) {
  t.comment(file);
  await import(pathToFileURL(file).href);
}
