#!/usr/bin/env node
import { runCommand } from './program';

// Who reads our output may have had enough of it: "zodb dump Data.fs | head".
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

runCommand(process.argv.slice(2), {
  env: process.env,
  isTerminal: process.stderr.isTTY === true,
  width: process.stdout.isTTY ? process.stdout.columns : undefined,
  hasColors: process.stdout.isTTY ? process.stdout.hasColors() : Boolean(process.env.FORCE_COLOR),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
}).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
