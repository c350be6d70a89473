"""Durability: accepted messages until every recipient is finished."""
