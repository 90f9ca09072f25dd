// Bundles the page: node build.mjs [--modules node_modules] [--out dist]
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const { values } = parseArgs({
  options: {
    modules: { type: 'string', default: path.join(here, 'node_modules') },
    out: { type: 'string', default: path.join(here, 'dist') },
  },
});
const modules = path.resolve(values.modules);
const out = path.resolve(values.out);
const esbuild = createRequire(path.join(modules, 'x'))('esbuild');

const { metafile } = await esbuild.build({
  entryPoints: [path.join(here, 'src/main.js')],
  outfile: path.join(out, 'app.js'),
  nodePaths: [modules],
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none', /* licences.txt has them all, in full */
  metafile: true,
});
await mkdir(out, { recursive: true });
for (const file of ['index.html', 'style.css', 'favicon.svg', 'openapi.json'])
  await cp(path.join(here, file), path.join(out, file));
await writeFile(path.join(out, 'licences.txt'), await licences(bundledPackages(metafile)));

function bundledPackages({ inputs }) {
  const names = Object.keys(inputs).map(
    (input) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1],
  );
  return [...new Set(names.filter(Boolean))].sort();
}

async function licences(names) {
  const notices = await Promise.all(names.map(notice));
  return ['The page contains the following software.\n', ...notices].join(`\n${'-'.repeat(72)}\n\n`);
}

async function notice(name) {
  const folder = path.join(modules, name);
  const about = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file)
    throw new Error(`${name} comes without a licence file`);
  const text = await readFile(path.join(folder, file), 'utf8');
  return `${about.name} ${about.version} (${about.license})\n\n${text.trim()}\n`;
}
