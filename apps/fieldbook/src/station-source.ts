/** Where the station records come from, as the `datapackage.json` of the npm package vega-datasets states (a test compares). */
export const STATION_SOURCE = {
  title: 'Palmer Station Antarctica LTER',
  url: 'https://pal.lternet.edu/',
  collector: 'Dr. Kristen Gorman',
  licence: 'CC0 1.0 Universal',
  licenceUrl: 'https://creativecommons.org/publicdomain/zero/1.0/',
  package: 'vega-datasets',
} as const
