/**
 * What rests on V8. `test/canary` watches over each of these on the versions of Node that are supported.
 */

/**
 * Whether an object stays fast when its properties are deleted in reverse order and defined again. From Node 22 on every `delete` leaves dictionary mode (24 ns a read instead of 3), so objects
 * converted in place are held only as long as the program holds them, and are loaded afresh, fast, at their next use.
 */
export const ADOPTED_STAY_FAST = Number(process.versions.node.split('.')[0]) < 22;
