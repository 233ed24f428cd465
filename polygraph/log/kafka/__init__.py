"""The log of a fleet: Kafka. Topics, clients, and what a member of a group does; README.md of polygraph/log."""
