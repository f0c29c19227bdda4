import { InvalidArgumentError } from '../errors';
import { TransactionError } from './errors';
import { textOf } from './text';

/** What is written with a transaction, and what its participants keep in it. */
export class TransactionMetadata {
  #user = '';
  #description = '';
  #extension: Record<string, unknown> | null = null;
  #data: Map<unknown, unknown> | null = null;

  /** Who did it. Null and undefined are refused with InvalidArgumentError. */
  get user(): string {
    return this.#user;
  }

  set user(value: string) {
    this.#user = textOf(notNull(value), 'user');
  }

  /** Sets {@link user} to `path + ' ' + name`, as Zope's user folders do. */
  setUser(name: string, path = '/'): void {
    this.#user = `${textOf(path, 'path')} ${textOf(notNull(name), 'user')}`;
  }

  /** What it is for. Setting null or undefined does nothing. */
  get description(): string {
    return this.#description;
  }

  set description(value: string) {
    if (value != null) this.#description = textOf(value, 'description');
  }

  /** Adds a line to {@link description}, without spaces around it. Null and undefined add nothing. */
  note(text: string | null | undefined): void {
    if (text == null) return;
    const line = textOf(text, 'note').trim();
    this.#description = this.#description ? `${this.#description}\n${line}` : line;
  }

  /** Free data written with the commit, by name. */
  get extension(): Record<string, unknown> {
    return (this.#extension ??= {});
  }

  set extension(value: Record<string, unknown>) {
    this.#extension = value;
  }

  /** Whether {@link extension} holds anything; asking that way makes no object. */
  get hasExtension(): boolean {
    return this.#extension !== null && Object.keys(this.#extension).length > 0;
  }

  /** Puts one value into {@link extension}. */
  setExtendedInfo(name: string, value: unknown): void {
    this.extension[name] = value;
  }

  /**
   * What {@link setData} put there for this very key. Gone when the transaction ends.
   * @throws TransactionError with code `NO_DATA` when there is nothing: see {@link hasData}
   */
  data(key: unknown): unknown {
    if (!this.hasData(key)) {
      throw new TransactionError('This transaction holds no data for that key.', { code: 'NO_DATA' });
    }
    return this.#data!.get(key);
  }

  hasData(key: unknown): boolean {
    return this.#data !== null && this.#data.has(key);
  }

  /** Keeps something for a participant until the transaction ends, by the identity of `key`. */
  setData(key: unknown, value: unknown): void {
    (this.#data ??= new Map()).set(key, value);
  }

  /** @internal */
  protected forgetData(): void {
    this.#data = null;
  }
}

function notNull(user: string): string {
  if (user == null) throw new InvalidArgumentError("A transaction's user must be a text, not null.");
  return user;
}
