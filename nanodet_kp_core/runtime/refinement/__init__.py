"""The second stage: the light-bar scout, the refiner of proposals, the refinement of bar ends."""
