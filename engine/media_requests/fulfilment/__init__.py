"""How an approved request is fulfilled: by Overseerr or Seerr, by a download of ours, or by hand."""
