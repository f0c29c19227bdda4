import type { Content } from './content';
import type { TreeNode } from './node';

/** Returns its argument as `this`, so that a subclass puts its private fields onto any object. */
class Identity {
  constructor(object: object) {
    return object;
  }
}

/** What a node has besides its record: private, so that neither a listing of its properties nor a comparison meets it. */
class Slots extends Identity {
  #content: Content | undefined = undefined;
  #owner: TreeNode | undefined = undefined;

  static content(node: object): Content | undefined {
    return (node as Slots).#content;
  }

  static putContent(node: object, content: Content | undefined): void {
    (node as Slots).#content = content;
  }

  static owner(node: object): TreeNode | undefined {
    return (node as Slots).#owner;
  }

  static putOwner(node: object, owner: TreeNode | undefined): void {
    (node as Slots).#owner = owner;
  }
}

/** Gives a new object its slots, empty. */
export function addSlots(node: object): void {
  new Slots(node);
}

export const { content: contentIn, putContent, owner: ownerOf, putOwner } = Slots;
