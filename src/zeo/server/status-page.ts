import * as http from 'node:http';
import type { ZeoAddress } from '../address';
import { prometheusText } from './status';
import type { ZeoServer } from './server';

/** A page for monitoring that is being served. */
export interface StatusPage {
  readonly address: ZeoAddress;
  close(): Promise<void>;
}

/**
 * Serves a server's counters over HTTP: `/status` as JSON, `/metrics` for Prometheus, `/health` 200 while the server takes
 * connections. It shows no data, and takes no orders; still, listen where only those who monitor can reach.
 */
export async function serveStatusPage(
  server: ZeoServer,
  address: { readonly host?: string; readonly port: number },
): Promise<StatusPage> {
  const page = http.createServer((request, response) => answer(server, request, response));
  page.requestTimeout = 10_000;
  page.maxConnections = 100;
  await new Promise<void>((resolve, reject) => {
    page.once('error', reject);
    page.listen(address, resolve);
  });
  const bound = page.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : address.port;
  return {
    address: { host: address.host, port },
    close: () =>
      new Promise((resolve) => {
        page.close(() => resolve());
        page.closeAllConnections();
      }),
  };
}

/** The server as a process, by the names that Prometheus's own clients use. */
function processText(server: ZeoServer): string {
  const cpu = process.cpuUsage();
  const values: [name: string, type: 'gauge' | 'counter', help: string, value: number][] = [
    ['zeo_open_sockets', 'gauge', 'Open connections, registered or not.', server.connectionCount],
    ['process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', process.memoryUsage.rss()],
    ['process_cpu_seconds_total', 'counter', 'CPU time spent in seconds.', (cpu.user + cpu.system) / 1e6],
    [
      'process_start_time_seconds',
      'gauge',
      'Start time of the process since unix epoch in seconds.',
      Math.round(Date.now() / 1000 - process.uptime()),
    ],
  ];
  return values
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join('');
}

function answer(server: ZeoServer, request: http.IncomingMessage, response: http.ServerResponse): void {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'Only GET.\n');
  switch (request.url?.split('?')[0]) {
    case '/status':
      return send(200, 'application/json', JSON.stringify(Object.fromEntries(server.status())));
    case '/metrics':
      return send(200, 'text/plain; version=0.0.4', prometheusText(server.status()) + processText(server));
    case '/health':
      return send(200, 'text/plain', 'ok\n');
    default:
      return send(404, 'text/plain', 'There are /status, /metrics and /health.\n');
  }
}
