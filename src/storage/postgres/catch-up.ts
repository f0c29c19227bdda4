import { ClosedError } from '../../errors';
import { changesAfter } from './changes';
import type { News } from './news';
import type { Schema } from './schema';
import type { Server } from './server';
import { Channel } from './server-worker';

/** Milliseconds after which a server that could not be reached is tried again. */
const PAUSE = 1_000;

/** Keeps up with what others commit, for listeners: whenever the server tells of a commit, and when the connection that told of it was lost. */
export class CatchUp {
  readonly #server: Server;
  readonly #schema: Schema;
  readonly #news: News;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Server, schema: Schema, news: News) {
    this.#server = server;
    this.#schema = schema;
    this.#news = news;
    server.onNotice = () => void this.#run();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      this.#news.tell(await this.#server.runAsync(changesAfter(this.#schema, Channel.read, this.#news.last)));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      // Without a connection nobody tells of anything.
      if (!(error instanceof ClosedError)) this.#timer = setTimeout(() => void this.#run(), PAUSE).unref();
    }
  }
}
