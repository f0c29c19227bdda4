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

/** The four classes for keys that are anything that has an order, and values that are anything that can be stored. */
export const OO = new Family('OO');
/** An ordered map from anything that has an order to anything that can be stored; each leaf is loaded and stored by itself. */
export const OOBTree = OO.BTree as unknown as BTreeOO;
export type OOBTree<K, V> = BTree<K, V>;
/** A leaf of OOBTree; by itself a map of one record, for what stays small. */
export const OOBucket = OO.Bucket as unknown as BucketOO;
export type OOBucket<K, V> = Bucket<K, V>;
/** An ordered set of anything that has an order; each leaf is loaded and stored by itself. */
export const OOTreeSet = OO.TreeSet as unknown as TreeSetO;
export type OOTreeSet<K> = TreeSet<K>;
/** A leaf of OOTreeSet; by itself a set of one record, for what stays small. */
export const OOSet = OO.Set as unknown as SetO;
export type OOSet<K> = LeafSet<K>;

/** The four classes for keys that are anything that has an order, and values that are 32-bit integers. */
export const OI = new Family('OI');
/** An ordered map from anything that has an order to 32-bit integers; each leaf is loaded and stored by itself. */
export const OIBTree = OI.BTree as unknown as BTreeOx<number>;
export type OIBTree<K> = BTree<K, number>;
/** A leaf of OIBTree; by itself a map of one record, for what stays small. */
export const OIBucket = OI.Bucket as unknown as BucketOx<number>;
export type OIBucket<K> = Bucket<K, number>;
/** An ordered set of anything that has an order; each leaf is loaded and stored by itself. */
export const OITreeSet = OI.TreeSet as unknown as TreeSetO;
export type OITreeSet<K> = TreeSet<K>;
/** A leaf of OITreeSet; by itself a set of one record, for what stays small. */
export const OISet = OI.Set as unknown as SetO;
export type OISet<K> = LeafSet<K>;

/** The four classes for keys that are anything that has an order, and values that are unsigned 32-bit integers. */
export const OU = new Family('OU');
/** An ordered map from anything that has an order to unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const OUBTree = OU.BTree as unknown as BTreeOx<number>;
export type OUBTree<K> = BTree<K, number>;
/** A leaf of OUBTree; by itself a map of one record, for what stays small. */
export const OUBucket = OU.Bucket as unknown as BucketOx<number>;
export type OUBucket<K> = Bucket<K, number>;
/** An ordered set of anything that has an order; each leaf is loaded and stored by itself. */
export const OUTreeSet = OU.TreeSet as unknown as TreeSetO;
export type OUTreeSet<K> = TreeSet<K>;
/** A leaf of OUTreeSet; by itself a set of one record, for what stays small. */
export const OUSet = OU.Set as unknown as SetO;
export type OUSet<K> = LeafSet<K>;

/** The four classes for keys that are anything that has an order, and values that are 64-bit integers. */
export const OL = new Family('OL');
/** An ordered map from anything that has an order to 64-bit integers; each leaf is loaded and stored by itself. */
export const OLBTree = OL.BTree as unknown as BTreeOx<LongInteger>;
export type OLBTree<K> = BTree<K, LongInteger>;
/** A leaf of OLBTree; by itself a map of one record, for what stays small. */
export const OLBucket = OL.Bucket as unknown as BucketOx<LongInteger>;
export type OLBucket<K> = Bucket<K, LongInteger>;
/** An ordered set of anything that has an order; each leaf is loaded and stored by itself. */
export const OLTreeSet = OL.TreeSet as unknown as TreeSetO;
export type OLTreeSet<K> = TreeSet<K>;
/** A leaf of OLTreeSet; by itself a set of one record, for what stays small. */
export const OLSet = OL.Set as unknown as SetO;
export type OLSet<K> = LeafSet<K>;

/** The four classes for keys that are anything that has an order, and values that are unsigned 64-bit integers. */
export const OQ = new Family('OQ');
/** An ordered map from anything that has an order to unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const OQBTree = OQ.BTree as unknown as BTreeOx<LongInteger>;
export type OQBTree<K> = BTree<K, LongInteger>;
/** A leaf of OQBTree; by itself a map of one record, for what stays small. */
export const OQBucket = OQ.Bucket as unknown as BucketOx<LongInteger>;
export type OQBucket<K> = Bucket<K, LongInteger>;
/** An ordered set of anything that has an order; each leaf is loaded and stored by itself. */
export const OQTreeSet = OQ.TreeSet as unknown as TreeSetO;
export type OQTreeSet<K> = TreeSet<K>;
/** A leaf of OQTreeSet; by itself a set of one record, for what stays small. */
export const OQSet = OQ.Set as unknown as SetO;
export type OQSet<K> = LeafSet<K>;

/** The four classes for keys that are 32-bit integers, and values that are anything that can be stored. */
export const IO = new Family('IO');
/** An ordered map from 32-bit integers to anything that can be stored; each leaf is loaded and stored by itself. */
export const IOBTree = IO.BTree as unknown as BTreexO<number>;
export type IOBTree<V> = BTree<number, V>;
/** A leaf of IOBTree; by itself a map of one record, for what stays small. */
export const IOBucket = IO.Bucket as unknown as BucketxO<number>;
export type IOBucket<V> = Bucket<number, V>;
/** An ordered set of 32-bit integers; each leaf is loaded and stored by itself. */
export const IOTreeSet = IO.TreeSet as unknown as TreeSetx<number>;
export type IOTreeSet = TreeSet<number>;
/** A leaf of IOTreeSet; by itself a set of one record, for what stays small. */
export const IOSet = IO.Set as unknown as Setx<number>;
export type IOSet = LeafSet<number>;

/** The four classes for keys that are 32-bit integers, and values that are 32-bit integers. */
export const II = new Family('II');
/** An ordered map from 32-bit integers to 32-bit integers; each leaf is loaded and stored by itself. */
export const IIBTree = II.BTree as unknown as BTreexx<number, number>;
export type IIBTree = BTree<number, number>;
/** A leaf of IIBTree; by itself a map of one record, for what stays small. */
export const IIBucket = II.Bucket as unknown as Bucketxx<number, number>;
export type IIBucket = Bucket<number, number>;
/** An ordered set of 32-bit integers; each leaf is loaded and stored by itself. */
export const IITreeSet = II.TreeSet as unknown as TreeSetx<number>;
export type IITreeSet = TreeSet<number>;
/** A leaf of IITreeSet; by itself a set of one record, for what stays small. */
export const IISet = II.Set as unknown as Setx<number>;
export type IISet = LeafSet<number>;

/** The four classes for keys that are 32-bit integers, and values that are floats of 32 bits. */
export const IF = new Family('IF');
/** An ordered map from 32-bit integers to floats of 32 bits; each leaf is loaded and stored by itself. */
export const IFBTree = IF.BTree as unknown as BTreexx<number, number>;
export type IFBTree = BTree<number, number>;
/** A leaf of IFBTree; by itself a map of one record, for what stays small. */
export const IFBucket = IF.Bucket as unknown as Bucketxx<number, number>;
export type IFBucket = Bucket<number, number>;
/** An ordered set of 32-bit integers; each leaf is loaded and stored by itself. */
export const IFTreeSet = IF.TreeSet as unknown as TreeSetx<number>;
export type IFTreeSet = TreeSet<number>;
/** A leaf of IFTreeSet; by itself a set of one record, for what stays small. */
export const IFSet = IF.Set as unknown as Setx<number>;
export type IFSet = LeafSet<number>;

/** The four classes for keys that are 32-bit integers, and values that are unsigned 32-bit integers. */
export const IU = new Family('IU');
/** An ordered map from 32-bit integers to unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const IUBTree = IU.BTree as unknown as BTreexx<number, number>;
export type IUBTree = BTree<number, number>;
/** A leaf of IUBTree; by itself a map of one record, for what stays small. */
export const IUBucket = IU.Bucket as unknown as Bucketxx<number, number>;
export type IUBucket = Bucket<number, number>;
/** An ordered set of 32-bit integers; each leaf is loaded and stored by itself. */
export const IUTreeSet = IU.TreeSet as unknown as TreeSetx<number>;
export type IUTreeSet = TreeSet<number>;
/** A leaf of IUTreeSet; by itself a set of one record, for what stays small. */
export const IUSet = IU.Set as unknown as Setx<number>;
export type IUSet = LeafSet<number>;

/** The four classes for keys that are unsigned 32-bit integers, and values that are anything that can be stored. */
export const UO = new Family('UO');
/** An ordered map from unsigned 32-bit integers to anything that can be stored; each leaf is loaded and stored by itself. */
export const UOBTree = UO.BTree as unknown as BTreexO<number>;
export type UOBTree<V> = BTree<number, V>;
/** A leaf of UOBTree; by itself a map of one record, for what stays small. */
export const UOBucket = UO.Bucket as unknown as BucketxO<number>;
export type UOBucket<V> = Bucket<number, V>;
/** An ordered set of unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const UOTreeSet = UO.TreeSet as unknown as TreeSetx<number>;
export type UOTreeSet = TreeSet<number>;
/** A leaf of UOTreeSet; by itself a set of one record, for what stays small. */
export const UOSet = UO.Set as unknown as Setx<number>;
export type UOSet = LeafSet<number>;

/** The four classes for keys that are unsigned 32-bit integers, and values that are unsigned 32-bit integers. */
export const UU = new Family('UU');
/** An ordered map from unsigned 32-bit integers to unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const UUBTree = UU.BTree as unknown as BTreexx<number, number>;
export type UUBTree = BTree<number, number>;
/** A leaf of UUBTree; by itself a map of one record, for what stays small. */
export const UUBucket = UU.Bucket as unknown as Bucketxx<number, number>;
export type UUBucket = Bucket<number, number>;
/** An ordered set of unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const UUTreeSet = UU.TreeSet as unknown as TreeSetx<number>;
export type UUTreeSet = TreeSet<number>;
/** A leaf of UUTreeSet; by itself a set of one record, for what stays small. */
export const UUSet = UU.Set as unknown as Setx<number>;
export type UUSet = LeafSet<number>;

/** The four classes for keys that are unsigned 32-bit integers, and values that are floats of 32 bits. */
export const UF = new Family('UF');
/** An ordered map from unsigned 32-bit integers to floats of 32 bits; each leaf is loaded and stored by itself. */
export const UFBTree = UF.BTree as unknown as BTreexx<number, number>;
export type UFBTree = BTree<number, number>;
/** A leaf of UFBTree; by itself a map of one record, for what stays small. */
export const UFBucket = UF.Bucket as unknown as Bucketxx<number, number>;
export type UFBucket = Bucket<number, number>;
/** An ordered set of unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const UFTreeSet = UF.TreeSet as unknown as TreeSetx<number>;
export type UFTreeSet = TreeSet<number>;
/** A leaf of UFTreeSet; by itself a set of one record, for what stays small. */
export const UFSet = UF.Set as unknown as Setx<number>;
export type UFSet = LeafSet<number>;

/** The four classes for keys that are unsigned 32-bit integers, and values that are 32-bit integers. */
export const UI = new Family('UI');
/** An ordered map from unsigned 32-bit integers to 32-bit integers; each leaf is loaded and stored by itself. */
export const UIBTree = UI.BTree as unknown as BTreexx<number, number>;
export type UIBTree = BTree<number, number>;
/** A leaf of UIBTree; by itself a map of one record, for what stays small. */
export const UIBucket = UI.Bucket as unknown as Bucketxx<number, number>;
export type UIBucket = Bucket<number, number>;
/** An ordered set of unsigned 32-bit integers; each leaf is loaded and stored by itself. */
export const UITreeSet = UI.TreeSet as unknown as TreeSetx<number>;
export type UITreeSet = TreeSet<number>;
/** A leaf of UITreeSet; by itself a set of one record, for what stays small. */
export const UISet = UI.Set as unknown as Setx<number>;
export type UISet = LeafSet<number>;

/** The four classes for keys that are 64-bit integers, and values that are anything that can be stored. */
export const LO = new Family('LO');
/** An ordered map from 64-bit integers to anything that can be stored; each leaf is loaded and stored by itself. */
export const LOBTree = LO.BTree as unknown as BTreexO<LongInteger>;
export type LOBTree<V> = BTree<LongInteger, V>;
/** A leaf of LOBTree; by itself a map of one record, for what stays small. */
export const LOBucket = LO.Bucket as unknown as BucketxO<LongInteger>;
export type LOBucket<V> = Bucket<LongInteger, V>;
/** An ordered set of 64-bit integers; each leaf is loaded and stored by itself. */
export const LOTreeSet = LO.TreeSet as unknown as TreeSetx<LongInteger>;
export type LOTreeSet = TreeSet<LongInteger>;
/** A leaf of LOTreeSet; by itself a set of one record, for what stays small. */
export const LOSet = LO.Set as unknown as Setx<LongInteger>;
export type LOSet = LeafSet<LongInteger>;

/** The four classes for keys that are 64-bit integers, and values that are 64-bit integers. */
export const LL = new Family('LL');
/** An ordered map from 64-bit integers to 64-bit integers; each leaf is loaded and stored by itself. */
export const LLBTree = LL.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type LLBTree = BTree<LongInteger, LongInteger>;
/** A leaf of LLBTree; by itself a map of one record, for what stays small. */
export const LLBucket = LL.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type LLBucket = Bucket<LongInteger, LongInteger>;
/** An ordered set of 64-bit integers; each leaf is loaded and stored by itself. */
export const LLTreeSet = LL.TreeSet as unknown as TreeSetx<LongInteger>;
export type LLTreeSet = TreeSet<LongInteger>;
/** A leaf of LLTreeSet; by itself a set of one record, for what stays small. */
export const LLSet = LL.Set as unknown as Setx<LongInteger>;
export type LLSet = LeafSet<LongInteger>;

/** The four classes for keys that are 64-bit integers, and values that are floats of 32 bits. */
export const LF = new Family('LF');
/** An ordered map from 64-bit integers to floats of 32 bits; each leaf is loaded and stored by itself. */
export const LFBTree = LF.BTree as unknown as BTreexx<LongInteger, number>;
export type LFBTree = BTree<LongInteger, number>;
/** A leaf of LFBTree; by itself a map of one record, for what stays small. */
export const LFBucket = LF.Bucket as unknown as Bucketxx<LongInteger, number>;
export type LFBucket = Bucket<LongInteger, number>;
/** An ordered set of 64-bit integers; each leaf is loaded and stored by itself. */
export const LFTreeSet = LF.TreeSet as unknown as TreeSetx<LongInteger>;
export type LFTreeSet = TreeSet<LongInteger>;
/** A leaf of LFTreeSet; by itself a set of one record, for what stays small. */
export const LFSet = LF.Set as unknown as Setx<LongInteger>;
export type LFSet = LeafSet<LongInteger>;

/** The four classes for keys that are 64-bit integers, and values that are unsigned 64-bit integers. */
export const LQ = new Family('LQ');
/** An ordered map from 64-bit integers to unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const LQBTree = LQ.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type LQBTree = BTree<LongInteger, LongInteger>;
/** A leaf of LQBTree; by itself a map of one record, for what stays small. */
export const LQBucket = LQ.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type LQBucket = Bucket<LongInteger, LongInteger>;
/** An ordered set of 64-bit integers; each leaf is loaded and stored by itself. */
export const LQTreeSet = LQ.TreeSet as unknown as TreeSetx<LongInteger>;
export type LQTreeSet = TreeSet<LongInteger>;
/** A leaf of LQTreeSet; by itself a set of one record, for what stays small. */
export const LQSet = LQ.Set as unknown as Setx<LongInteger>;
export type LQSet = LeafSet<LongInteger>;

/** The four classes for keys that are unsigned 64-bit integers, and values that are anything that can be stored. */
export const QO = new Family('QO');
/** An ordered map from unsigned 64-bit integers to anything that can be stored; each leaf is loaded and stored by itself. */
export const QOBTree = QO.BTree as unknown as BTreexO<LongInteger>;
export type QOBTree<V> = BTree<LongInteger, V>;
/** A leaf of QOBTree; by itself a map of one record, for what stays small. */
export const QOBucket = QO.Bucket as unknown as BucketxO<LongInteger>;
export type QOBucket<V> = Bucket<LongInteger, V>;
/** An ordered set of unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const QOTreeSet = QO.TreeSet as unknown as TreeSetx<LongInteger>;
export type QOTreeSet = TreeSet<LongInteger>;
/** A leaf of QOTreeSet; by itself a set of one record, for what stays small. */
export const QOSet = QO.Set as unknown as Setx<LongInteger>;
export type QOSet = LeafSet<LongInteger>;

/** The four classes for keys that are unsigned 64-bit integers, and values that are unsigned 64-bit integers. */
export const QQ = new Family('QQ');
/** An ordered map from unsigned 64-bit integers to unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const QQBTree = QQ.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type QQBTree = BTree<LongInteger, LongInteger>;
/** A leaf of QQBTree; by itself a map of one record, for what stays small. */
export const QQBucket = QQ.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type QQBucket = Bucket<LongInteger, LongInteger>;
/** An ordered set of unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const QQTreeSet = QQ.TreeSet as unknown as TreeSetx<LongInteger>;
export type QQTreeSet = TreeSet<LongInteger>;
/** A leaf of QQTreeSet; by itself a set of one record, for what stays small. */
export const QQSet = QQ.Set as unknown as Setx<LongInteger>;
export type QQSet = LeafSet<LongInteger>;

/** The four classes for keys that are unsigned 64-bit integers, and values that are floats of 32 bits. */
export const QF = new Family('QF');
/** An ordered map from unsigned 64-bit integers to floats of 32 bits; each leaf is loaded and stored by itself. */
export const QFBTree = QF.BTree as unknown as BTreexx<LongInteger, number>;
export type QFBTree = BTree<LongInteger, number>;
/** A leaf of QFBTree; by itself a map of one record, for what stays small. */
export const QFBucket = QF.Bucket as unknown as Bucketxx<LongInteger, number>;
export type QFBucket = Bucket<LongInteger, number>;
/** An ordered set of unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const QFTreeSet = QF.TreeSet as unknown as TreeSetx<LongInteger>;
export type QFTreeSet = TreeSet<LongInteger>;
/** A leaf of QFTreeSet; by itself a set of one record, for what stays small. */
export const QFSet = QF.Set as unknown as Setx<LongInteger>;
export type QFSet = LeafSet<LongInteger>;

/** The four classes for keys that are unsigned 64-bit integers, and values that are 64-bit integers. */
export const QL = new Family('QL');
/** An ordered map from unsigned 64-bit integers to 64-bit integers; each leaf is loaded and stored by itself. */
export const QLBTree = QL.BTree as unknown as BTreexx<LongInteger, LongInteger>;
export type QLBTree = BTree<LongInteger, LongInteger>;
/** A leaf of QLBTree; by itself a map of one record, for what stays small. */
export const QLBucket = QL.Bucket as unknown as Bucketxx<LongInteger, LongInteger>;
export type QLBucket = Bucket<LongInteger, LongInteger>;
/** An ordered set of unsigned 64-bit integers; each leaf is loaded and stored by itself. */
export const QLTreeSet = QL.TreeSet as unknown as TreeSetx<LongInteger>;
export type QLTreeSet = TreeSet<LongInteger>;
/** A leaf of QLTreeSet; by itself a set of one record, for what stays small. */
export const QLSet = QL.Set as unknown as Setx<LongInteger>;
export type QLSet = LeafSet<LongInteger>;

/** The four classes for keys that are pairs of bytes, and values that are six bytes. */
export const fs = new Family('fs');
/** An ordered map from pairs of bytes to six bytes; each leaf is loaded and stored by itself. */
export const fsBTree = fs.BTree as unknown as BTreexx<Uint8Array, Uint8Array>;
export type fsBTree = BTree<Uint8Array, Uint8Array>;
/** A leaf of fsBTree; by itself a map of one record, for what stays small. */
export const fsBucket = fs.Bucket as unknown as Bucketxx<Uint8Array, Uint8Array>;
export type fsBucket = Bucket<Uint8Array, Uint8Array>;
/** An ordered set of pairs of bytes; each leaf is loaded and stored by itself. */
export const fsTreeSet = fs.TreeSet as unknown as TreeSetx<Uint8Array>;
export type fsTreeSet = TreeSet<Uint8Array>;
/** A leaf of fsTreeSet; by itself a set of one record, for what stays small. */
export const fsSet = fs.Set as unknown as Setx<Uint8Array>;
export type fsSet = LeafSet<Uint8Array>;

/** All families, by name. */
export const families: Readonly<Record<string, Family>> = Object.fromEntries(
  [OO, OI, OU, OL, OQ, IO, II, IF, IU, UO, UU, UF, UI, LO, LL, LF, LQ, QO, QQ, QF, QL, fs].map((family) => [
    family.name,
    family,
  ]),
);
