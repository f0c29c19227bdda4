/** References to other objects, as they stand in the states that conflict resolution sees. */
interface ReferenceLike {
  readonly oid: unknown;
  readonly kind?: unknown;
  readonly weak?: unknown;
  readonly database?: unknown;
  readonly databaseName?: unknown;
}

/** Whether `value` stands for another object. */
export function isReference(value: unknown): value is ReferenceLike {
  return (
    typeof value === 'object' && value !== null && 'oid' in value && ('kind' in value || 'weak' in value)
  );
}

/** Whether two references, or two absences, lead to the same object for certain; weak ones never do. */
export function sameReference(a: unknown, b: unknown): boolean {
  if (a == null || b == null) return a == null && b == null;
  if (!isReference(a) || !isReference(b)) return false;
  return a.oid === b.oid && databaseOf(a) === databaseOf(b) && !isWeak(a) && !isWeak(b);
}

function databaseOf(reference: ReferenceLike): unknown {
  return reference.database ?? reference.databaseName;
}

function isWeak(reference: ReferenceLike): boolean {
  return reference.kind === 'weak' || reference.weak === true;
}
