import { runMesh } from './run-mesh.ts';

// The process of `npm start`, and with `--watch` that of `npm run dev`.

await runMesh(process.env, { restartsOnChange: process.argv.includes('--watch') });
