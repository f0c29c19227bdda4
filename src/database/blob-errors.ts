import { ZodbError, type ZodbErrorOptions } from '../errors';

/** A blob can't do what was asked of it in its present state: somebody writes to it, or it has uncommitted content. */
export class BlobError extends ZodbError {
  constructor(message: string, options: ZodbErrorOptions = {}) {
    super(message, { code: 'BLOB', ...options });
  }
}
