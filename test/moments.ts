/**
 * A moment between what was committed and what will be. The clock that tids are made of may be 5 ms from that of dates (`wallClock` in
 * src/ids.ts), and the program may stand still anywhere.
 */
export function momentBetween(): Date {
  pass(10);
  const moment = new Date();
  pass(10);
  return moment;
}

function pass(milliseconds: number): void {
  const end = Date.now() + milliseconds;
  while (Date.now() < end);
}
