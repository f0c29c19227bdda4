import { Persistent, persistent } from 'zodb';
import { OOBTree } from 'zodb/btrees';

@persistent('world.City')
export class City extends Persistent {
  constructor(
    public name: string,
    public population: number,
    public country: Country | null,
  ) {
    super();
  }
}

/** A country knows its neighbours and cities directly: the graph is cyclic, and no table is in sight. */
@persistent('world.Country')
export class Country extends Persistent {
  neighbours: Country[] = [];
  cities: City[] = [];
  /** A plain nested value: changed in place, found at commit. */
  facts: { capital: string[]; languages: Record<string, string>; notes: string[] } = {
    capital: [],
    languages: {},
    notes: [],
  };

  constructor(
    public code: string,
    public name: string,
  ) {
    super();
  }

  largestCities(count: number): City[] {
    return [...this.cities].sort((a, b) => b.population - a.population).slice(0, count);
  }

  /** The path with the fewest border crossings, by breadth-first search over the references. */
  pathTo(goal: Country): Country[] | undefined {
    const cameFrom = new Map<Country, Country | null>([[this, null]]);
    for (const here of cameFrom.keys()) {
      if (here === goal) {
        const path: Country[] = [];
        for (let at: Country | null = goal; at; at = cameFrom.get(at) ?? null) path.unshift(at);
        return path;
      }
      for (const next of here.neighbours) if (!cameFrom.has(next)) cameFrom.set(next, here);
    }
    return undefined;
  }
}

/** What hangs below the root of the database. */
export const worldRoot = {
  countries: () => new OOBTree<string, Country>(),
  /** Name → the cities of that name, largest first. */
  citiesByName: () => new OOBTree<string, City[]>(),
  /** [population, id] → city: a range of it is "every city between two populations". */
  citiesByPopulation: () => new OOBTree<readonly [population: number, id: number], City>(),
  /** Country code → its cities by name. */
  citiesByCountry: () => new OOBTree<string, OOBTree<string, City[]>>(),
};
