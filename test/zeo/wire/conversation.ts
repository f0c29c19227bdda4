import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** A sized message, with its length in front. */
export interface Recorded {
  readonly fromClient: boolean;
  readonly bytes: Buffer;
  /** The part of the conversation that it belongs to. */
  readonly part: string;
}

function directory(): string {
  return join(resolve(process.env.ZODB_FIXTURES ?? join(__dirname, '../../fixtures')), 'zeo');
}

/** Names of the recorded conversations. */
export function conversationFiles(): string[] {
  return readdirSync(directory()).filter((name) => /_[ZM]5\.txt$/.test(name));
}

export function readConversation(file: string): Recorded[] {
  const out: Recorded[] = [];
  let part = '';
  for (const line of readFileSync(join(directory(), file), 'utf8').split('\n')) {
    if (line.startsWith('#')) part = line.slice(1).trim();
    else if (line) out.push({ fromClient: line[0] === '>', bytes: Buffer.from(line.slice(1), 'hex'), part });
  }
  return out;
}
