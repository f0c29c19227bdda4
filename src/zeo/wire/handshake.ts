/**
 * The handshake: the server speaks first and announces `Z5` or `M5`; the client answers with the same letter and the lesser of
 * the announced version and its own. The server takes the codec from the client's letter
 * (`ZEO/src/ZEO/asyncio/client.py`, `server.py`).
 */
import { ZeoProtocolError } from '../errors';
import { PROTOCOL_VERSION } from './codec';

/** What a client sends instead of a version to get the server's status as JSON. */
export const STATUS_REQUEST = 'ruok';
/** Nothing longer is taken before the handshake is over, in bytes. */
export const HANDSHAKE_LIMIT = 64;

/** The client's answer to a server's announcement. Throws {@link ZeoProtocolError} when they have no version in common. */
export function answerAnnouncement(announced: Buffer): { letter: 'Z' | 'M'; answer: Buffer } {
  const text = announced.toString('latin1');
  const letter = text[0];
  if (letter !== 'Z' && letter !== 'M') {
    throw new ZeoProtocolError(`This is no ZEO 5 server: it announced ${JSON.stringify(text.slice(0, 20))}.`);
  }
  const version = text.slice(1);
  if (version < PROTOCOL_VERSION) {
    throw new ZeoProtocolError(
      `The server speaks ZEO protocol ${JSON.stringify(text)}; at least ${PROTOCOL_VERSION} is needed.`,
    );
  }
  return { letter, answer: Buffer.from(letter + PROTOCOL_VERSION, 'latin1') };
}

/** The codec that a client's answer asks for; throws {@link ZeoProtocolError} when it is none. */
export function letterOfAnswer(answer: Buffer): 'Z' | 'M' {
  const text = answer.toString('latin1');
  if (text === `Z${PROTOCOL_VERSION}`) return 'Z';
  if (text === `M${PROTOCOL_VERSION}`) return 'M';
  throw new ZeoProtocolError(`The client asked for the protocol ${JSON.stringify(text.slice(0, 20))}.`);
}
