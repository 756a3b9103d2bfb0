import { expect, test } from "vitest";
import { sumOf, ThreeBrokers } from "./three-brokers.ts";

const UNDER = 'lograft_partitions{state="under_replicated"}';
const OFFLINE = 'lograft_partitions{state="offline"}';
const ONLINE = 'lograft_partitions{state="online"}';

test("brokers agree on the cluster, and each tells what it has of it", async () => {
  using three = await ThreeBrokers.start();
  await three.create("orders", 4, 3);
  await three.create("alone", 3, 1);
  const all = await three.metrics();
  for (const samples of all) {
    expect(samples.get("lograft_cluster_nodes")).toBe(3);
    expect(samples.get("lograft_topics")).toBe(2);
    expect([ONLINE, OFFLINE, UNDER].map((name) => samples.get(name))).toEqual([7, 0, 0]);
  }
  expect(sumOf(all, "lograft_controller_leader")).toBe(1);
  expect(sumOf(all, "lograft_leaders")).toBe(7);
  expect(sumOf(all, "lograft_replicas")).toBe(15);
});

test("the death of a broker is told by those that are left, and its return too", async () => {
  using three = await ThreeBrokers.start();
  await three.create("orders", 3, 3);
  await three.create("alone", 3, 1);
  // So that every replica is open and follows.
  const isWhole = (): boolean =>
    three.running().length === 3 &&
    three
      .running()
      .every(({ image }) => image.topic("orders")?.partitions.every(({ isr }) => isr.length === 3) === true);
  await three.until(isWhole);
  const before = await three.metrics();
  three.cluster.crash(1, "kill", 20_000);
  await three.until(() => three.running().length === 2);
  const isShrunk = (): boolean =>
    three
      .running()
      .every(({ image }) => image.topic("orders")?.partitions.every(({ isr }) => isr.length === 2) === true);
  await three.until(isShrunk);
  const left = await three.metrics();
  for (const samples of left) {
    expect([ONLINE, OFFLINE, UNDER].map((name) => samples.get(name))).toEqual([5, 1, 4]);
    expect(samples.get("lograft_cluster_nodes_fenced")).toBe(1);
    expect(samples.get('lograft_partitions{state="under_min_isr"}')).toBe(1);
  }
  const shrinks = 'lograft_isr_changes_total{direction="shrink"}';
  expect(sumOf(left, shrinks)).toBeGreaterThan(0);
  expect(sumOf(left, "lograft_controller_leader")).toBe(1);
  await three.until(isWhole);
  const after = await three.metrics();
  for (const samples of after) expect([OFFLINE, UNDER].map((name) => samples.get(name))).toEqual([0, 0]);
  expect(sumOf(after, 'lograft_isr_changes_total{direction="expand"}')).toBeGreaterThan(0);
  expect(sumOf(before, shrinks)).toBe(0);
});
