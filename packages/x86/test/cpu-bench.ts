export * from '@emkit/cpu-testbed';
