"""What a store says, for people: tenants, pools, calls, and why a call cost what it did."""
