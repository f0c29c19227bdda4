/** Where the fixtures are, and which there are. Cases are found by listing folders, so that tests run on any set of the same layout. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** A path below the folder of fixtures: `ZODB_FIXTURES`, by default `test/fixtures`. */
export function fixturePath(...parts: string[]): string {
  return join(resolve(process.env.ZODB_FIXTURES ?? join(__dirname, 'fixtures')), ...parts);
}

/** Names of the files in a folder of fixtures that end in `suffix`, sorted. Fails when there are none. */
export function listFixtures(dir: string, suffix: string): string[] {
  const names = readdirSync(fixturePath(dir))
    .filter((name) => name.endsWith(suffix))
    .sort();
  if (names.length === 0) throw new Error(`No fixtures *${suffix} in ${fixturePath(dir)}.`);
  return names;
}

/** A JSON fixture. */
export function readJson(...parts: string[]): unknown {
  return JSON.parse(readFileSync(fixturePath(...parts), 'utf8'));
}

/** A fixture of one JSON value a line. */
export function readJsonLines(...parts: string[]): unknown[] {
  return readFileSync(fixturePath(...parts), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}
