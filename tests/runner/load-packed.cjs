const { createRequire } = require('node:module');
const { dirname } = require('node:path');

/** What is packed runs as Node's own CommonJS loader would run it. */
const loaded = new Map();

/** @param {{ pack: string, path: string }} place The file that has the module, and its path. */
exports.load = function load({ pack, path }) {
  const found = loaded.get(path);
  if (found !== undefined) return found.exports;
  const { links, run } = require(`./${pack}.cjs`)[path];
  const module = { exports: {}, id: path, filename: path };
  loaded.set(path, module);
  const requireFrom = (specifier) => {
    const linked = links[specifier];
    if (typeof linked === 'string') return require(linked);
    // What is asked for only now was not seen when the packs were made.
    return linked === undefined ? createRequire(path)(specifier) : load(linked);
  };
  requireFrom.resolve = (specifier) => createRequire(path).resolve(specifier);
  run(module, module.exports, requireFrom, path, dirname(path));
  return module.exports;
};
