import { CLIENT_DECODE_LIMITS, makeCodec, SERVER_DECODE_LIMITS } from '../../../src/zeo/wire/codec';
import { FrameReader } from '../../../src/zeo/wire/frames';
import { itemsOf } from '../../../src/zeo/wire/values';
import { conversationFiles, readConversation } from './conversation';

describe('recorded conversations of Python peers', () => {
  const files = conversationFiles();

  it('has conversations to read', () => {
    expect(files.length).toBeGreaterThan(0);
  });

  it.each(files)('%s: every message decodes and encodes to the same bytes', (file) => {
    const letter = file.includes('M5') ? 'M' : 'Z';
    const server = makeCodec(letter, SERVER_DECODE_LIMITS);
    const client = makeCodec(letter, CLIENT_DECODE_LIMITS);
    let messages = 0;
    for (const { fromClient, bytes } of readConversation(file)) {
      if (bytes.length <= 8) continue;
      const codec = fromClient ? server : client;
      const message = codec.decode(bytes.subarray(4));
      // Python's own server nests pickled exceptions of its storage in this one, with a memo.
      const foreign = itemsOf(message.args)?.[0] === 'ZODB.POSException.MultipleUndoErrors' && letter === 'Z';
      if (!foreign) {
        const again = codec.encode(message.id, message.flag, message.name, message.args);
        expect(again.toString('hex')).toBe(bytes.toString('hex'));
      }
      messages++;
    }
    expect(messages).toBeGreaterThan(10);
  });

  it('cuts any division of the stream into the same messages', () => {
    for (const file of files) {
      const frames = readConversation(file).map((entry) => entry.bytes);
      const stream = Buffer.concat(frames);
      for (const step of [1, 3, 7, 64, 1000, stream.length]) {
        const reader = new FrameReader(1 << 20);
        const out: Buffer[] = [];
        for (let at = 0; at < stream.length; at += step) {
          reader.push(Buffer.from(stream.subarray(at, at + step)));
          for (let next = reader.next(); next; next = reader.next()) out.push(next);
        }
        expect(out.length).toBe(frames.length);
        out.forEach((message, i) => expect(message.equals(frames[i]!.subarray(4))).toBe(true));
        expect(reader.pendingBytes).toBe(0);
      }
    }
  });
});
