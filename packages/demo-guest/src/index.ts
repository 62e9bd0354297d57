export { DEMO_GUEST_MEMORY, DEMO_GUEST_NAME, demoGuest } from './demo-guest.ts';
