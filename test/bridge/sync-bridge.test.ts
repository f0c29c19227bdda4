import { SyncBridge, type BridgeScope } from '../../src/bridge';

function echo(scope: BridgeScope): void {
  scope.onMessage((message) => {
    const bytes = message as Uint8Array;
    scope.send(bytes[0] ?? 0, bytes);
  });
}

/** Sends `count` records of `size` bytes, as fast as there is room. */
function flood(scope: BridgeScope): void {
  const { count, size } = scope.data as { count: number; size: number };
  let sent = 0;
  const more = (): void => {
    while (sent < count) {
      const bytes = new Uint8Array(size).fill(sent & 0xff);
      sent++;
      if (!scope.send(5, bytes)) return;
    }
  };
  scope.onDrain(more);
  scope.onMessage(more);
}

function failing(): void {
  throw new Error('no such luck');
}

function receiveBlocking(bridge: SyncBridge): Buffer {
  for (;;) {
    const record = bridge.receive();
    if (record) return record;
    if (!bridge.wait(150_000)) throw new Error('nothing came');
  }
}

describe('SyncBridge', () => {
  it('lets a caller wait for an answer without its event loop', async () => {
    const bridge = new SyncBridge(echo);
    for (let i = 0; i < 300; i++) {
      bridge.post(Uint8Array.of(i & 0x7f, 1, 2, 3));
      expect([...receiveBlocking(bridge)]).toEqual([i & 0x7f, 1, 2, 3]);
      expect(bridge.tag).toBe(i & 0x7f);
    }
    await bridge.close();
  });

  it('rings when something comes while nobody waits', async () => {
    const bridge = new SyncBridge(echo);
    const heard = await new Promise<Buffer>((resolve) => {
      bridge.ref();
      bridge.onReadable = () => resolve(bridge.receive()!);
      bridge.post(Uint8Array.of(9));
    });
    expect([...heard]).toEqual([9]);
    await bridge.close();
  });

  it('gives up waiting after the time it was given', async () => {
    const bridge = new SyncBridge(echo);
    const start = performance.now();
    expect(bridge.wait(30)).toBe(false);
    expect(performance.now() - start).toBeGreaterThan(25);
    await bridge.close();
  });

  it.each([
    [20_000, 40],
    [300, 7_000],
    [20, 300_000],
  ])('passes %d records of %d bytes through a ring of 64 KiB', async (count, size) => {
    const bridge = new SyncBridge(flood, { data: { count, size }, ringBytes: 65_536 });
    bridge.post('go');
    for (let i = 0; i < count; i++) {
      const record = receiveBlocking(bridge);
      expect(record.length).toBe(size);
      if (record[0] !== (i & 0xff) || record[size - 1] !== (i & 0xff))
        throw new Error(`record ${i} is not ${i}`);
    }
    await bridge.close();
  });

  it('reports a worker that fails', async () => {
    const bridge = new SyncBridge(failing);
    bridge.ref();
    const error = await new Promise<Error>((resolve) => {
      bridge.onFailure = resolve;
    });
    expect(error.message).toBe('no such luck');
  });
});
