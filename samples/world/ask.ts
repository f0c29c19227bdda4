import { connection, type Connection } from 'zodb';
import type { City, Country } from './model';
import { worldRoot } from './model';

/** Opens the file that another process wrote, answers, and changes a nested plain value. */
export function ask(file: string, show: (line: string) => void): void {
  using conn = connection(file, { root: worldRoot });
  const root = conn.root;

  answer(conn, show, 'The fewest border crossings from Portugal to Vietnam', () => {
    const path = root.countries.get('PRT')!.pathTo(root.countries.get('VNM')!)!;
    return [`${path.length - 1}: ${path.map((country: Country) => country.name).join(' → ')}`];
  });

  answer(conn, show, 'The ten largest cities of Brazil', () =>
    root.countries
      .get('BRA')!
      .largestCities(10)
      .map((city: City) => `${city.name.padEnd(16)} ${city.population.toLocaleString('en').padStart(12)}`),
  );

  answer(conn, show, 'Every city of 1,000,000 to 1,050,000 people', () => {
    const range = {
      min: Object.freeze([1_000_000, 0] as const),
      max: Object.freeze([1_050_000, 0] as const),
    };
    const found = [...root.citiesByPopulation.values(range)];
    const names = found.map((city) => `${city.name} (${city.country?.code ?? '?'})`);
    return [`${names.length}: ${names.slice(0, 8).join(', ')} …`];
  });

  root.countries.get('PRT')!.facts.notes.push('Visited by the second process.');
  conn.transactionManager.commit();
  show('  … and a note was pushed into a nested array of Portugal, and committed.');
}

function answer(
  conn: Connection,
  show: (line: string) => void,
  question: string,
  work: () => string[],
): void {
  conn.getTransferCounts({ clear: true });
  const started = performance.now();
  const lines = work();
  const milliseconds = (performance.now() - started).toFixed(1);
  const { loads } = conn.getTransferCounts({ clear: true });
  show(`  ${question}   [${loads} objects loaded, ${milliseconds} ms]`);
  for (const line of lines) show(`    ${line}`);
}
