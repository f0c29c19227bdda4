import { persistent } from 'zodb';

/** The guide's semiconductor lots: a run goes through operations, each with its parameters. */
@persistent('fab.Parameter')
export class Parameter {
  constructor(
    public name: string,
    public value: number,
  ) {}
}

@persistent('fab.Operation')
export class Operation {
  parameters: Parameter[] = [];

  constructor(public processId: string) {}
}

@persistent('fab.ProcessRun')
export class ProcessRun {
  operations: Operation[] = [];

  constructor(
    public id: number,
    public title: string,
    public owner: string,
  ) {}

  hasParameter(name: string, value: number): boolean {
    return this.operations.some((step) => step.parameters.some((p) => p.name === name && p.value === value));
  }
}
