"""What tests of several modules share: AWS's own rules about requests and about permissions."""
