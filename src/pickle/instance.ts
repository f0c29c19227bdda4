/**
 * Instances of classes that nobody registered, kept as the pickle had them.
 */
import { inspect } from 'node:util';
import { Global } from './global';
import type { Reduction } from './interfaces';

/**
 * An object of a class that is unknown here: its class by name, its arguments, contents and state, decoded. It is
 * written back as it was read. Nothing of the class exists in this process.
 */
export class PyInstance implements Reduction {
  readonly by: 'newobj' | 'call';
  readonly cls: unknown;
  readonly args: readonly unknown[];
  kwargs: [string, unknown][] | undefined = undefined;
  items: unknown[] | undefined = undefined;
  pairs: [unknown, unknown][] | undefined = undefined;
  adds: unknown[] | undefined = undefined;
  state: unknown = undefined;

  constructor(by: 'newobj' | 'call', cls: unknown, args: readonly unknown[]) {
    this.by = by;
    this.cls = cls;
    this.args = args;
  }

  /** `module.Class`, or a description of what made it. */
  get className(): string {
    return this.cls instanceof Global ? this.cls.toString() : inspect(this.cls, { depth: 0 });
  }

  toJSON(): unknown {
    const json: Record<string, unknown> = { $class: this.className };
    if (this.args.length > 0) json['args'] = this.args;
    if (this.kwargs) json['kwargs'] = this.kwargs;
    if (this.items) json['items'] = this.items;
    if (this.pairs) json['pairs'] = this.pairs;
    if (this.adds) json['adds'] = this.adds;
    if (this.state !== undefined) json['state'] = this.state;
    return json;
  }

  [inspect.custom](depth: number, options: object): string {
    const parts: string[] = [];
    const show = (value: unknown): string => inspect(value, { ...options, depth: depth - 1 });
    if (this.args.length > 0) parts.push(`args: ${depth < 0 ? '[…]' : show(this.args)}`);
    for (const key of ['kwargs', 'items', 'pairs', 'adds', 'state'] as const) {
      if (this[key] !== undefined) parts.push(`${key}: ${depth < 0 ? '…' : show(this[key])}`);
    }
    return `<${this.className}${parts.length > 0 ? ` ${parts.join(', ')}` : ''}>`;
  }
}
