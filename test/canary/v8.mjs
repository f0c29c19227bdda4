/**
 * What rests on V8's behaviour, run against the built package by any node binary:
 *
 *     npm run build && node test/canary/v8.mjs
 *
 * Prints one line a finding; exit status 1 when something that the code relies on does not hold. `%HasFastProperties` needs a flag, so the script starts itself
 * again with it.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const FLAGS = ['--allow-natives-syntax', '--expose-gc'];
if (!process.execArgv.includes(FLAGS[0])) {
  const { status } = spawnSync(process.execPath, [...FLAGS, fileURLToPath(import.meta.url)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

const require = createRequire(import.meta.url);
const { createCache, persistent, registry, statusOf } = require('../../dist/persistence/index.js');
const { ADOPTED_STAY_FAST } = require('../../dist/persistence/v8.js');
const isFast = new Function('o', 'return %HasFastProperties(o)');

class Jar {
  registry = registry;
  databaseName = 'canary';
  records = new Map();
  next = 1;
  constructor(options) {
    this.cache = createCache(this, options);
  }
  load(oid) {
    return this.records.get(oid);
  }
  loadMany(oids) {
    return oids.map((oid) => this.records.get(oid));
  }
  newOid() {
    return this.next++;
  }
  objectChanged() {}
  readCurrent() {}
  warn() {}
  sibling() {
    throw new Error('there is no other');
  }
  commit() {
    this.cache.flushExposed();
    for (const { oid, data } of this.cache.serializeChanged()) this.records.set(oid, { data, serial: 1n });
    this.cache.afterCommit(1n);
    this.cache.boundary();
  }
  fresh(options) {
    const jar = new Jar(options);
    jar.records = this.records;
    return jar;
  }
}

class Six {
  a = 1;
  b = 2.5;
  c = 'three';
  d = null;
  e = true;
  f = 6;
  next = null;
}
persistent('canary.Six')(Six);

let failed = 0;
function check(what, holds, detail = '') {
  if (!holds) failed += 1;
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what}${detail === '' ? '' : ` (${detail})`}`);
}

const jar = new Jar();
const adopted = new Six();
const oid = jar.cache.add(adopted);
jar.commit();
const loaded = jar.fresh().cache.get(oid);

check('a loaded object has fast properties', isFast(loaded));
check(
  `an adopted object ${ADOPTED_STAY_FAST ? 'keeps' : 'loses'} fast properties, as v8.ts says of this version`,
  isFast(adopted) === ADOPTED_STAY_FAST,
);
check('its fields are found in order', Object.keys(loaded).join() === 'a,b,c,d,e,f,next');
check(
  'a tracked field can not be deleted or redefined',
  !Reflect.deleteProperty(loaded, 'a') && !Reflect.defineProperty(loaded, 'a', { value: 1 }),
);

/** ns for reading a field of each, the best of many short times: the machine may be slow, or stand still at any of them. */
function nsPerRead(objects) {
  const reads = objects.map(
    () =>
      new Function(
        'o',
        `let s = 0; for (let i = 0; i < 2e5; i++) s += o.a + o.f; return s // ${Math.random()}`,
      ),
  );
  const best = objects.map(() => Infinity);
  for (let round = 0; round < 50; round++) {
    for (const [i, object] of objects.entries()) {
      const start = process.hrtime.bigint();
      reads[i](object);
      best[i] = Math.min(best[i], Number(process.hrtime.bigint() - start) / 4e5);
    }
  }
  return best;
}
// Its fields are in a table of names.
const dictionary = Object.assign(Object.create(null), { gone: 0, a: 1, f: 6 });
delete dictionary.gone;
const [read, found] = nsPerRead([loaded, dictionary]);
check(
  'reading a field of a loaded object takes a few ns, as finding a name in a table does',
  read < 3 * found,
  `${read.toFixed(1)} ns, in a table ${found.toFixed(1)} ns`,
);

// A private field can be put on any object by a constructor that returns it, and code from direct eval sees it.
check(
  'a proxy of an object has no mark',
  statusOf(loaded) === 'saved' && !(statusOfProxy(loaded) === 'ghost'),
);
function statusOfProxy(object) {
  const proxy = new Proxy(object, {});
  proxy.a = 41;
  return statusOf(object);
}
check('a write through a proxy arrives', loaded.a === 41 && statusOf(loaded) === 'changed');

// WeakRef targets are kept until the job ends, unless a script runs in a context with a microtask queue of its own.
const chain = new Jar({ targetCount: 100 });
const COUNT = 20_000;
{
  let head = null;
  for (let i = 0; i < COUNT; i++) head = Object.assign(new Six(), { next: head });
  chain.cache.add(head);
  chain.commit();
}
const scan = chain.fresh({ targetCount: 100 });
let microtasks = 0;
Promise.resolve().then(() => {
  microtasks += 1;
});
globalThis.gc();
const before = process.memoryUsage().heapUsed;
let seen = 0;
for (let at = scan.cache.get(1); at !== null; at = at.next) seen += 1;
globalThis.gc();
const grown = process.memoryUsage().heapUsed - before;
check(
  'a synchronous scan does not keep what it loaded',
  seen === COUNT && grown < 6_000_000,
  `${(grown / 1e6).toFixed(1)} MB`,
);
check("the program's microtasks did not run meanwhile", microtasks === 0);

// V8 forgets a class's hidden class, and the code compiled for it, with the last object: unless a specimen stays.
class Rare {
  a = 1;
  b = 2;
}
persistent('canary.Rare')(Rare);
class Plain {
  constructor() {
    this.a = 1;
    this.b = 2;
  }
}
const isCompiled = new Function('f', 'return (%GetOptimizationStatus(f) & 16) !== 0');
/** Whether code that was compiled for objects is still there when the objects are not. */
function staysCompiled(objects) {
  const compile = new Function(
    'objects',
    `const f = (o) => o.a + o.b; // ${Math.random()}
     %PrepareFunctionForOptimization(f);
     for (const o of objects) f(o);
     %OptimizeFunctionOnNextCall(f);
     for (const o of objects) f(o);
     return f`,
  );
  const f = compile(objects);
  objects.length = 0;
  if (!isCompiled(f)) return undefined;
  for (let i = 0; i < 3; i++) globalThis.gc();
  return isCompiled(f);
}
const rare = new Jar();
const oids = [new Rare(), new Rare(), new Rare()].map((object) => rare.cache.add(object));
rare.commit();
const kept = staysCompiled(rare.fresh().cache.getMany(oids));
const lost = staysCompiled([new Plain(), new Plain(), new Plain()]);
check('code compiled for plain objects goes with the last of them', lost === false);
check('code compiled for loaded objects stays', kept === true);

console.log(
  `node ${process.versions.node}, v8 ${process.versions.v8}: ${failed === 0 ? 'all as expected' : `${failed} FAILED`}`,
);
process.exitCode = failed === 0 ? 0 : 1;
