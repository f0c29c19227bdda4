import { ZodbError } from '../errors';

/** Something was done with a connection that its state does not allow. */
export class ConnectionStateError extends ZodbError {
  constructor(message: string) {
    super(message, { code: 'CONNECTION_STATE' });
  }
}
