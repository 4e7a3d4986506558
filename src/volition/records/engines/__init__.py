"""Engines that run the gate's SQL over a table: one meaning, several interpreters, held equal by test."""
