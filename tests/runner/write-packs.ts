import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire, isBuiltin, registerHooks } from 'node:module';
import { join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import typescript from 'typescript';
import { loadServices } from './load-services.ts';

/*
 * Writes what pack-packages.ts hands on, into the folder that is its argument. Node itself finds the modules: those
 * that it loads for a gateway and a counter service are seen by a hook.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGES = new URL('node_modules/', pathToFileURL(ROOT)).href;

interface Module {
  url: string;
  format: string;
  /** What it asks for, and the URL of that. */
  links: Map<string, string>;
}

const [folder = ''] = process.argv.slice(2);
const { modules, entries } = await watchImports();
const draft = `${folder}-${process.pid}`;
mkdirSync(draft, { recursive: true });
const write = (name: string, text: string) => writeFileSync(join(draft, name), text);
write('package.json', '{ "type": "module" }');
copyFileSync(join(import.meta.dirname, 'load-packed.cjs'), join(draft, 'load-packed.cjs'));
for (const [pack, members] of Map.groupBy(modules.values(), ({ url }) => packOf(url))) {
  const texts = members.map(
    (module) => `${JSON.stringify(fileURLToPath(module.url))}: ${writeModule(module)}`,
  );
  write(`${pack}.cjs`, `module.exports = {\n${texts.join(',\n')}\n};\n`);
}
for (const [index, [specifier, url]] of entries.entries()) {
  const names = Object.keys((await import(specifier)) as object);
  write(`${index}.js`, writeEntry(url, names));
}
write('use.js', writeHook());
// Runs that start together may each make them; the first to rename wins.
if (!existsSync(folder)) renameSync(draft, folder);
rmSync(draft, { recursive: true, force: true });

async function watchImports() {
  const modules = new Map<string, Module>();
  const links = new Map<string, Map<string, string>>();
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context);
      const parent = context.parentURL ?? '';
      if (!links.has(parent)) links.set(parent, new Map());
      links.get(parent)!.set(specifier, found.url);
      return found;
    },
    load(url, context, next) {
      const found = next(url, context);
      if (url.startsWith(PACKAGES)) {
        modules.set(url, { url, format: found.format ?? '', links: new Map() });
      }
      return found;
    },
  });
  await loadServices();
  hooks.deregister();
  const entries = new Map<string, string>();
  for (const [parent, asked] of links) {
    const module = modules.get(parent);
    if (module !== undefined) module.links = asked;
    else for (const [name, url] of asked) if (modules.has(url)) entries.set(name, url);
  }
  return { modules, entries: [...entries] };
}

/** The package that has the module, as a name of a file. */
function packOf(url: string): string {
  const parts = relative(join(ROOT, 'node_modules'), fileURLToPath(url)).split(sep);
  const from = parts.lastIndexOf('node_modules') + 1;
  return parts.slice(0, parts[from]?.startsWith('@') ? from + 2 : from + 1).join('+');
}

function place(url: string): string {
  if (isBuiltin(url)) return JSON.stringify(url);
  return `{ pack: ${JSON.stringify(packOf(url))}, path: ${JSON.stringify(fileURLToPath(url))} }`;
}

function writeModule({ url, format, links }: Module): string {
  const text = readFileSync(new URL(url), 'utf8');
  if (format !== 'module') findRequired(url, text, links);
  const code =
    format === 'json' ? `module.exports = ${text};` : format === 'module' ? toCommonJs(text) : text;
  const linked = [...links].map(([specifier, to]) => `${JSON.stringify(specifier)}: ${place(to)}`);
  return `{ links: { ${linked.join(', ')} }, run: (function (module, exports, require, __filename, __dirname) {\n${code}\n}) }`;
}

/** Node remembers what modules of one folder require, so that a hook does not see it each time. */
function findRequired(url: string, text: string, links: Map<string, string>): void {
  const { resolve } = createRequire(url);
  for (const [, specifier = ''] of text.matchAll(/\brequire\(['"]([^'"]+)['"]\)/g)) {
    try {
      const found = resolve(specifier);
      const to = isBuiltin(found) ? found : pathToFileURL(found).href;
      if (isBuiltin(to) || modules.has(to)) links.set(specifier, to);
    } catch {
      // It is optional, or stands in a comment.
    }
  }
}

function toCommonJs(text: string): string {
  const { ModuleKind, ScriptTarget, transpileModule } = typescript;
  return transpileModule(text, {
    compilerOptions: {
      module: ModuleKind.CommonJS,
      target: ScriptTarget.ESNext,
      esModuleInterop: true,
      removeComments: true,
    },
  }).outputText;
}

/** The names that Node found in it. */
function writeEntry(url: string, names: string[]): string {
  const isEsm = modules.get(url)?.format === 'module';
  const values = names.map((name, index) => {
    const value =
      !isEsm && ['default', 'module.exports'].includes(name)
        ? 'entry'
        : `entry[${JSON.stringify(name)}]`;
    return `const v${index} = ${value};`;
  });
  const exported = names.map((name, index) => `v${index} as ${JSON.stringify(name)}`);
  return `import { load } from './load-packed.cjs';
const entry = load(${place(url)});
${values.join('\n')}
export { ${exported.join(', ')} };
`;
}

/** An older Node, which has no such hook, does without. */
function writeHook(): string {
  const imported = entries.map(([specifier], index) => [specifier, `./${index}.js`]);
  const required = entries.flatMap(([specifier], index) => {
    const url = pathToFileURL(createRequire(import.meta.url).resolve(specifier)).href;
    if (!modules.has(url)) return [];
    write(`${index}.cjs`, `module.exports = require('./load-packed.cjs').load(${place(url)});\n`);
    return [[specifier, `./${index}.cjs`]];
  });
  return `import * as module from 'node:module';
const imported = new Map(${JSON.stringify(imported)});
const required = new Map(${JSON.stringify(required)});
module.registerHooks?.({
  resolve(specifier, context, next) {
    const isRequired = context.conditions.includes('require');
    const file = (isRequired ? required : imported).get(specifier);
    if (file === undefined) return next(specifier, context);
    const { href: url } = new URL(file, import.meta.url);
    return { url, format: isRequired ? 'commonjs' : 'module', shortCircuit: true };
  },
});
`;
}
