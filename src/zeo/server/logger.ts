/** Where the server writes what happens. A pino logger fits. */
export interface ServerLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

const nothing = (): void => undefined;

/** Keeps quiet. */
export const SILENT: ServerLogger = Object.freeze({
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
});
