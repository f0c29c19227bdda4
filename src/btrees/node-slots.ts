/** What a node has that nobody should meet who lists, copies or compares the properties of a collection. */
import type { TreeNode } from './node';

const CONTENT: PropertyDescriptor = {
  value: undefined,
  writable: true,
  enumerable: false,
  configurable: true,
};

/**
 * Hides the content of a node that a program may have in hands. To do so takes a good part of the time that loading a leaf takes, so it is not done
 * for the leaves that only their tree knows. An accessor or a private field would cost more: every loop reads the content, and V8 finds
 * those far more slowly in objects of many classes.
 */
export function hideContent(node: TreeNode): void {
  Object.defineProperty(node, 'content', { ...CONTENT, value: node.content });
}

/** Returns its argument as `this`, so that a subclass puts its private fields onto any object. */
class Identity {
  constructor(object: object) {
    return object;
  }
}

/** All nodes have it, so that their shapes stay alike. */
class Owned extends Identity {
  #owner: TreeNode | undefined = undefined;

  static get(node: object): TreeNode | undefined {
    return (node as Owned).#owner;
  }

  static put(node: object, owner: TreeNode | undefined): void {
    (node as Owned).#owner = owner;
  }
}

/** Gives a new node a place for its owner. */
export function addOwner(node: object): void {
  new Owned(node);
}

export const { get: ownerOf, put: putOwner } = Owned;
