import { connection } from 'zodb';
import { worldRoot } from './model';

/** A third process: sees what the second one committed. */
export function verify(file: string, show: (line: string) => void): void {
  using conn = connection(file, { root: worldRoot });
  const portugal = conn.root.countries.get('PRT')!;
  show(`  ${portugal.name} (${portugal.facts.capital.join(', ')}): ${portugal.facts.notes.join(' ')}`);
}
