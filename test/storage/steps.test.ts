import { runSteps, runStepsAsync, type Progress, type Steps } from '../../src/storage';

function* counting(total: number, cleaned: string[] = []): Steps<string> {
  try {
    for (let done = 1; done <= total; done++) yield { phase: 'count', done, total };
    return 'done';
  } finally {
    cleaned.push('cleaned');
  }
}

test('steps run to their result, telling their progress', async () => {
  const seen: Progress[] = [];
  expect(runSteps(counting(3), { onProgress: (progress) => seen.push(progress) })).toBe('done');
  expect(seen.map(({ done }) => done)).toEqual([1, 2, 3]);
  expect(await runStepsAsync(counting(3))).toBe('done');
});

test('a signal ends them at the next step, after they have cleaned up', async () => {
  const cleaned: string[] = [];
  const controller = new AbortController();
  const onProgress = ({ done }: Progress): void => {
    if (done === 2) controller.abort(new Error('enough'));
  };
  await expect(
    runStepsAsync(counting(9, cleaned), { signal: controller.signal, onProgress }),
  ).rejects.toThrow('enough');
  expect(cleaned).toEqual(['cleaned']);
});

test('others have their turn while steps run asynchronously', async () => {
  function* busy(): Steps<void> {
    for (let done = 0; done < 20; done++) {
      const end = performance.now() + 3;
      while (performance.now() < end);
      yield { phase: 'busy', done, total: 20 };
    }
  }
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await runStepsAsync(busy());
  clearInterval(timer);
  expect(turns).toBeGreaterThan(1);
});
