/**
 * The classes by name. A family is named by its key letter and value letter: O any object, I and U 32-bit integers, L and Q
 * 64-bit ones, F floats of 32 bits; fs is bytes to bytes.
 */
import { Family, type BTree, type Bucket, type LeafSet, type TreeSet } from './family';
import type { NodeClass } from './node';

/** A 64-bit integer: comes back as a number where that is exact, else as a bigint. */
export type LongInteger = number | bigint;

type Entries<K, V> = Iterable<readonly [K, V]>;
type Sizes = Pick<NodeClass, 'maxLeafSize' | 'maxInternalSize'>;

type BTreeOO = Sizes & (new <K, V>(entries?: Entries<K, V>) => BTree<K, V>);
type BucketOO = new <K, V>(entries?: Entries<K, V>) => Bucket<K, V>;
type TreeSetO = Sizes & (new <K>(keys?: Iterable<K>) => TreeSet<K>);
type SetO = new <K>(keys?: Iterable<K>) => LeafSet<K>;
type BTreeOx<V> = Sizes & (new <K>(entries?: Entries<K, V>) => BTree<K, V>);
type BucketOx<V> = new <K>(entries?: Entries<K, V>) => Bucket<K, V>;
type BTreexO<K> = Sizes & (new <V>(entries?: Entries<K, V>) => BTree<K, V>);
type BucketxO<K> = new <V>(entries?: Entries<K, V>) => Bucket<K, V>;
type BTreexx<K, V> = Sizes & (new (entries?: Entries<K, V>) => BTree<K, V>);
type Bucketxx<K, V> = new (entries?: Entries<K, V>) => Bucket<K, V>;
type TreeSetx<K> = Sizes & (new (keys?: Iterable<K>) => TreeSet<K>);
type Setx<K> = new (keys?: Iterable<K>) => LeafSet<K>;

export const OO = new Family('OO');
export const OOBTree = OO.BTree as unknown as BTreeOO;
export type OOBTree<K, V> = BTree<K, V>;
export const OOBucket = OO.Bucket as unknown as BucketOO;
export type OOBucket<K, V> = Bucket<K, V>;
export const OOTreeSet = OO.TreeSet as unknown as TreeSetO;
export type OOTreeSet<K> = TreeSet<K>;
export const OOSet = OO.Set as unknown as SetO;
export type OOSet<K> = LeafSet<K>;

export const OI = new Family('OI');
export const OIBTree = OI.BTree as unknown as BTreeOx<number>;
export type OIBTree<K> = BTree<K, number>;
export const OIBucket = OI.Bucket as unknown as BucketOx<number>;
export type OIBucket<K> = Bucket<K, number>;
export const OITreeSet = OI.TreeSet as unknown as TreeSetO;
export type OITreeSet<K> = TreeSet<K>;
export const OISet = OI.Set as unknown as SetO;
export type OISet<K> = LeafSet<K>;

export const OU = new Family('OU');
export const OUBTree = OU.BTree as unknown as BTreeOx<number>;
export type OUBTree<K> = BTree<K, number>;
export const OUBucket = OU.Bucket as unknown as BucketOx<number>;
export type OUBucket<K> = Bucket<K, number>;
export const OUTreeSet = OU.TreeSet as unknown as TreeSetO;
export type OUTreeSet<K> = TreeSet<K>;
export const OUSet = OU.Set as unknown as SetO;
export type OUSet<K> = LeafSet<K>;

export const OL = new Family('OL');
export const OLBTree = OL.BTree as unknown as BTreeOx<LongInteger>;
export type OLBTree<K> = BTree<K, LongInteger>;
export const OLBucket = OL.Bucket as unknown as BucketOx<LongInteger>;
export type OLBucket<K> = Bucket<K, LongInteger>;
export const OLTreeSet = OL.TreeSet as unknown as TreeSetO;
export type OLTreeSet<K> = TreeSet<K>;
export const OLSet = OL.Set as unknown as SetO;
export type OLSet<K> = LeafSet<K>;

export const OQ = new Family('OQ');
export const OQBTree = OQ.BTree as unknown as BTreeOx<LongInteger>;
export type OQBTree<K> = BTree<K, LongInteger>;
export const OQBucket = OQ.Bucket as unknown as BucketOx<LongInteger>;
export type OQBucket<K> = Bucket<K, LongInteger>;
export const OQTreeSet = OQ.TreeSet as unknown as TreeSetO;
export type OQTreeSet<K> = TreeSet<K>;
export const OQSet = OQ.Set as unknown as SetO;
export type OQSet<K> = LeafSet<K>;

export const IO = new Family('IO');
export const IOBTree = IO.BTree as unknown as BTreexO<number>;
export type IOBTree<V> = BTree<number, V>;
export const IOBucket = IO.Bucket as unknown as BucketxO<number>;
export type IOBucket<V> = Bucket<number, V>;
export const IOTreeSet = IO.TreeSet as unknown as TreeSetx<number>;
export type IOTreeSet = TreeSet<number>;
export const IOSet = IO.Set as unknown as Setx<number>;
export type IOSet = LeafSet<number>;

export const II = new Family('II');
export const IIBTree = II.BTree as unknown as BTreexx<number, number>;
export type IIBTree = BTree<number, number>;
export const IIBucket = II.Bucket as unknown as Bucketxx<number, number>;
export type IIBucket = Bucket<number, number>;
export const IITreeSet = II.TreeSet as unknown as TreeSetx<number>;
export type IITreeSet = TreeSet<number>;
export const IISet = II.Set as unknown as Setx<number>;
export type IISet = LeafSet<number>;

export const IF = new Family('IF');
export const IFBTree = IF.BTree as unknown as BTreexx<number, number>;
export type IFBTree = BTree<number, number>;
export const IFBucket = IF.Bucket as unknown as Bucketxx<number, number>;
export type IFBucket = Bucket<number, number>;
export const IFTreeSet = IF.TreeSet as unknown as TreeSetx<number>;
export type IFTreeSet = TreeSet<number>;
export const IFSet = IF.Set as unknown as Setx<number>;
export type IFSet = LeafSet<number>;

export const IU = new Family('IU');
export const IUBTree = IU.BTree as unknown as BTreexx<number, number>;
export type IUBTree = BTree<number, number>;
export const IUBucket = IU.Bucket as unknown as Bucketxx<number, number>;
export type IUBucket = Bucket<number, number>;
export const IUTreeSet = IU.TreeSet as unknown as TreeSetx<number>;
export type IUTreeSet = TreeSet<number>;
export const IUSet = IU.Set as unknown as Setx<number>;
export type IUSet = LeafSet<number>;

export const UO = new Family('UO');
export const UOBTree = UO.BTree as unknown as BTreexO<number>;
export type UOBTree<V> = BTree<number, V>;
export const UOBucket = UO.Bucket as unknown as BucketxO<number>;
export type UOBucket<V> = Bucket<number, V>;
export const UOTreeSet = UO.TreeSet as unknown as TreeSetx<number>;
export type UOTreeSet = TreeSet<number>;
export const UOSet = UO.Set as unknown as Setx<number>;
export type UOSet = LeafSet<number>;

export const UU = new Family('UU');
export const UUBTree = UU.BTree as unknown as BTreexx<number, number>;
export type UUBTree = BTree<number, number>;
export const UUBucket = UU.Bucket as unknown as Bucketxx<number, number>;
export type UUBucket = Bucket<number, number>;
export const UUTreeSet = UU.TreeSet as unknown as TreeSetx<number>;
export type UUTreeSet = TreeSet<number>;
export const UUSet = UU.Set as unknown as Setx<number>;
export type UUSet = LeafSet<number>;

export const UF = new Family('UF');
export const UFBTree = UF.BTree as unknown as BTreexx<number, number>;
export type UFBTree = BTree<number, number>;
export const UFBucket = UF.Bucket as unknown as Bucketxx<number, number>;
export type UFBucket = Bucket<number, number>;
export const UFTreeSet = UF.TreeSet as unknown as TreeSetx<number>;
export type UFTreeSet = TreeSet<number>;
export const UFSet = UF.Set as unknown as Setx<number>;
export type UFSet = LeafSet<number>;

export const UI = new Family('UI');
export const UIBTree = UI.BTree as unknown as BTreexx<number, number>;
export type UIBTree = BTree<number, number>;
export const UIBucket = UI.Bucket as unknown as Bucketxx<number, number>;
export type UIBucket = Bucket<number, number>;
export const UITreeSet = UI.TreeSet as unknown as TreeSetx<number>;
export type UITreeSet = TreeSet<number>;
export const UISet = UI.Set as unknown as Setx<number>;
export type UISet = LeafSet<number>;

export const LO = new Family('LO');
export const LOBTree = LO.BTree as unknown as BTreexO<LongInteger>;
export type LOBTree<V> = BTree<LongInteger, V>;
export const LOBucket = LO.Bucket as unknown as BucketxO<LongInteger>;
export type LOBucket<V> = Bucket<LongInteger, V>;
export const LOTreeSet = LO.TreeSet as unknown as TreeSetx<LongInteger>;
export type LOTreeSet = TreeSet<LongInteger>;
export const LOSet = LO.Set as unknown as Setx<LongInteger>;
export type LOSet = LeafSet<LongInteger>;

export const LL = new Family('LL');
export const LLBTree = LL.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type LLBTree = BTree<LongInteger, LongInteger>;
export const LLBucket = LL.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type LLBucket = Bucket<LongInteger, LongInteger>;
export const LLTreeSet = LL.TreeSet as unknown as TreeSetx<LongInteger>;
export type LLTreeSet = TreeSet<LongInteger>;
export const LLSet = LL.Set as unknown as Setx<LongInteger>;
export type LLSet = LeafSet<LongInteger>;

export const LF = new Family('LF');
export const LFBTree = LF.BTree as unknown as BTreexx<LongInteger, number>;
export type LFBTree = BTree<LongInteger, number>;
export const LFBucket = LF.Bucket as unknown as Bucketxx<LongInteger, number>;
export type LFBucket = Bucket<LongInteger, number>;
export const LFTreeSet = LF.TreeSet as unknown as TreeSetx<LongInteger>;
export type LFTreeSet = TreeSet<LongInteger>;
export const LFSet = LF.Set as unknown as Setx<LongInteger>;
export type LFSet = LeafSet<LongInteger>;

export const LQ = new Family('LQ');
export const LQBTree = LQ.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type LQBTree = BTree<LongInteger, LongInteger>;
export const LQBucket = LQ.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type LQBucket = Bucket<LongInteger, LongInteger>;
export const LQTreeSet = LQ.TreeSet as unknown as TreeSetx<LongInteger>;
export type LQTreeSet = TreeSet<LongInteger>;
export const LQSet = LQ.Set as unknown as Setx<LongInteger>;
export type LQSet = LeafSet<LongInteger>;

export const QO = new Family('QO');
export const QOBTree = QO.BTree as unknown as BTreexO<LongInteger>;
export type QOBTree<V> = BTree<LongInteger, V>;
export const QOBucket = QO.Bucket as unknown as BucketxO<LongInteger>;
export type QOBucket<V> = Bucket<LongInteger, V>;
export const QOTreeSet = QO.TreeSet as unknown as TreeSetx<LongInteger>;
export type QOTreeSet = TreeSet<LongInteger>;
export const QOSet = QO.Set as unknown as Setx<LongInteger>;
export type QOSet = LeafSet<LongInteger>;

export const QQ = new Family('QQ');
export const QQBTree = QQ.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type QQBTree = BTree<LongInteger, LongInteger>;
export const QQBucket = QQ.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type QQBucket = Bucket<LongInteger, LongInteger>;
export const QQTreeSet = QQ.TreeSet as unknown as TreeSetx<LongInteger>;
export type QQTreeSet = TreeSet<LongInteger>;
export const QQSet = QQ.Set as unknown as Setx<LongInteger>;
export type QQSet = LeafSet<LongInteger>;

export const QF = new Family('QF');
export const QFBTree = QF.BTree as unknown as BTreexx<LongInteger, number>;
export type QFBTree = BTree<LongInteger, number>;
export const QFBucket = QF.Bucket as unknown as Bucketxx<LongInteger, number>;
export type QFBucket = Bucket<LongInteger, number>;
export const QFTreeSet = QF.TreeSet as unknown as TreeSetx<LongInteger>;
export type QFTreeSet = TreeSet<LongInteger>;
export const QFSet = QF.Set as unknown as Setx<LongInteger>;
export type QFSet = LeafSet<LongInteger>;

export const QL = new Family('QL');
export const QLBTree = QL.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type QLBTree = BTree<LongInteger, LongInteger>;
export const QLBucket = QL.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type QLBucket = Bucket<LongInteger, LongInteger>;
export const QLTreeSet = QL.TreeSet as unknown as TreeSetx<LongInteger>;
export type QLTreeSet = TreeSet<LongInteger>;
export const QLSet = QL.Set as unknown as Setx<LongInteger>;
export type QLSet = LeafSet<LongInteger>;

export const fs = new Family('fs');
export const fsBTree = fs.BTree as unknown as BTreexx<Uint8Array, Uint8Array>;
export type fsBTree = BTree<Uint8Array, Uint8Array>;
export const fsBucket = fs.Bucket as unknown as Bucketxx<Uint8Array, Uint8Array>;
export type fsBucket = Bucket<Uint8Array, Uint8Array>;
export const fsTreeSet = fs.TreeSet as unknown as TreeSetx<Uint8Array>;
export type fsTreeSet = TreeSet<Uint8Array>;
export const fsSet = fs.Set as unknown as Setx<Uint8Array>;
export type fsSet = LeafSet<Uint8Array>;

/** All families, by name. */
export const families: Readonly<Record<string, Family>> = Object.fromEntries(
  [OO, OI, OU, OL, OQ, IO, II, IF, IU, UO, UU, UF, UI, LO, LL, LF, LQ, QO, QQ, QF, QL, fs].map((family) => [
    family.name,
    family,
  ]),
);
