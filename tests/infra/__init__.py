"""The infrastructure, as far as it can be judged where there is no Bicep compiler and no Azure."""
